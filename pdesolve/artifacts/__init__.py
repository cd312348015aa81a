"""Models as folders: constructor arguments, weights, digests and a card; no pickle.

config.json          class name and constructor arguments
model.safetensors    weights and buffers
metadata.json        SHA-256 of both, versions, and what the caller told (units, metrics, ...)
README.md            model card
"""

from .config import ArtifactError as ArtifactError
from .finetuning import pretrained as pretrained
from .folder import load as load
from .folder import read_metadata as read_metadata
from .folder import save as save
