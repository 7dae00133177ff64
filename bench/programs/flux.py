"""Adds the fluxes through the faces of each cell to the cell, for every chemical species.

The line that the Legate talk of 2021 shows from a combustion code: cells are [x, y, z, species], fluxes are
[x, y, z, species, face]. Written for any array module; one application is one reduction over the short last axis.
"""

from _program import Program, bits, main


def setup(np, n, species, faces):
    rng = np.random.default_rng(7)
    cells = rng.random((n, n, n, species))
    fluxes = rng.random((n, n, n, species, faces)) - 0.5
    return dict(cells=cells, fluxes=fluxes, alpha=0.01)


def add_fluxes(np, cells, fluxes, alpha):
    cells[:, :] += alpha * np.sum(fluxes, axis=4)
    return dict(cells=cells)


def limit(n, species, faces, **_):
    points = n**3 * species
    return dict(
        bytes=8 * points * (faces + 2),
        only_read=8 * points * faces,
        flops=points * (faces + 1),
        working_set=8 * points * (faces + 1),
    )


flux = Program(
    name="flux",
    summary="4-D cells += alpha * sum of 5-D fluxes over the faces",
    setup=setup,
    solve=add_fluxes,
    sizes=dict(
        small=dict(n=7, species=5, faces=6),
        demo=dict(n=48, species=9, faces=6),
        full=dict(n=96, species=9, faces=6),
    ),
    limit=limit,
    checks=dict(cells=bits(1e-13)),
    mutates=("cells",),
)
PROGRAMS = (flux,)


def run(np, **params):
    return flux.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
