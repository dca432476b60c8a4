"""Networks that diffusers lacks. Importing this room loads torch and diffusers."""

from xdyna.models.torchvision_guard import ensure_torchvision

ensure_torchvision()

from xdyna.models.dynamics_adapter import REFERENCE_MODES  # noqa: E402  (the guard must run before diffusers is imported)
from xdyna.models.dynamictrl import DynamiCtrlTransformer  # noqa: E402
from xdyna.models.patch_autoencoder import PatchAutoencoder  # noqa: E402
from xdyna.models.resampler import Resampler  # noqa: E402
from xdyna.models.unet import XDynaUNet  # noqa: E402

__all__ = ["REFERENCE_MODES", "DynamiCtrlTransformer", "PatchAutoencoder", "Resampler", "XDynaUNet"]
