"""How the parameters of a model change."""

from .augmentation import Augmentation as Augmentation
from .augmentation import GridSymmetries as GridSymmetries
from .by_task import ByTask as ByTask
from .checkpoint import CheckpointError as CheckpointError
from .distributed import is_main_process as is_main_process
from .epoch import Interrupted as Interrupted
from .groups import GroupedAdamW as GroupedAdamW
from .groups import Rule as Rule
from .guard import NonFiniteError as NonFiniteError
from .loop import FitResult as FitResult
from .loop import fit as fit
from .objective import one_step as one_step
from .optimizers import LBFGS as LBFGS
from .optimizers import Adam as Adam
from .optimizers import AdamW as AdamW
from .optimizers import Muon as Muon
from .patchwise import Patchwise as Patchwise
from .random_points import RandomPoints as RandomPoints
from .refinement import Tuning as Tuning
from .refinement import refine as refine
from .schedules import OneCycle as OneCycle
from .schedules import StepDecay as StepDecay
from .schedules import Torch as Torch
from .settings import Settings as Settings
from .unrolled import Pushforward as Pushforward
from .unrolled import Unrolled as Unrolled
