"""pandas on our arrays: its functions run on real arrays that share our memory, are counted, and give arrays of ours."""

from .._fallback import stand_in

stand_in(__name__)
