"""Deep learning from first principles in JAX, as pure functions.

Every file of this folder is core: pure functions, without files, network or terminal. Every folder is shell:
it is where those live. In reading order:

- what the book's chapter begins with: ``tensors``, ``operations``, ``geometry``;
- a function as data: ``graph``, ``jaxprs``; backpropagation: ``rules``, ``linear_rules``, ``control_flow``,
  ``tangents``, ``walk``, ``backprop``;
- what the functions that you hand in have to return: ``checks``;
- the core of the core: ``layers``, ``losses``, ``optimizers``, ``batches``, ``training``;
- what is kept to judge by, and numbers in the place of classes: ``splits``, ``regression``;
- what a network should not answer, as it is like nothing that it was trained on: ``rejection``;
- what a trained network does to the space that its inputs are in: ``manifold``;
- what makes it faster, and what to train as plain data: ``products``, ``job``, ``plain``;
- what a slope promises, and ways downhill: ``descent``;
- the notes' program, and the losses that others published: ``published``;
- many runs as one program: ``memory``, ``ensembles``, ``statistics``, ``grids``, ``verdicts``, ``parallel``;
- what the notes' slips cost where no error reports them: ``mistakes``;
- your own data, in a dozen lines: ``fit``, ``load``;
- the shell: ``disk``, ``data``, ``runs``, ``networks``, ``pictures``, ``pages``, ``command``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers
    from jaxnaive import (
        backprop,
        batches,
        checks,
        command,
        control_flow,
        data,
        descent,
        disk,
        ensembles,
        geometry,
        graph,
        grids,
        jaxprs,
        job,
        layers,
        linear_rules,
        losses,
        manifold,
        memory,
        mistakes,
        networks,
        operations,
        optimizers,
        pages,
        parallel,
        pictures,
        plain,
        products,
        published,
        regression,
        rejection,
        rules,
        runs,
        splits,
        statistics,
        tangents,
        tensors,
        training,
        verdicts,
        walk,
    )
    from jaxnaive.networks import load
    from jaxnaive.networks.fitting import fit


SHORTCUTS = {"fit": "networks.fitting", "load": "networks"}  # functions, by their modules


def __getattr__(name: str) -> Any:
    # A module is imported where it is first used: all of them take 0.09 s besides jax, those that train 0.02.
    if name in SHORTCUTS:
        return getattr(import_module(f"{__name__}.{SHORTCUTS[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("jaxnaive")
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":  # something that the module needs
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    from pkgutil import iter_modules

    return sorted([*SHORTCUTS, *(module.name for module in iter_modules(__path__))])
