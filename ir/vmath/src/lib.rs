//! The one vector math library that every tier uses, so that the tier that ran never changes the bits.
