"""How good a model is: in numbers, beside what costs no thought, and in pictures."""

from .baselines import Persistence as Persistence
from .baselines import TrainingMean as TrainingMean
from .baselines import across_resolutions as across_resolutions
from .baselines import interpolate as interpolate
from .baselines import training_mean as training_mean
from .gains import accuracy_gain as accuracy_gain
from .gains import efficiency_gain as efficiency_gain
from .gains import final_errors as final_errors
from .gains import grouped_errors as grouped_errors
from .gains import median_error as median_error
from .gains import scaling_exponent as scaling_exponent
from .inference import predictions as predictions
from .lead_times import roll as roll
from .metrics import evaluate as evaluate
from .metrics import per_sample as per_sample
from .metrics import representatives as representatives
from .metrics import summarize as summarize
from .rollout import RolloutErrors as RolloutErrors
from .rollout import rollout_errors as rollout_errors
from .semigroup import semigroup_defects as semigroup_defects
from .spectra import mean_spectra as mean_spectra
