"""The tools whose configurations are read, in the order in which they are tried."""

from lorascope.formats import axolotl, llamafactory, mlx_lm, ms_swift, peft, torchtune, trl
from lorascope.formats.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (
    peft.DIALECT,
    axolotl.DIALECT,
    llamafactory.DIALECT,
    ms_swift.DIALECT,
    trl.DIALECT,
    torchtune.DIALECT,
    mlx_lm.DIALECT,
)
