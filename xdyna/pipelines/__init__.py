"""diffusers pipelines. Importing this room loads torch and diffusers."""

import xdyna.models  # noqa: F401  (its torchvision guard must run before diffusers is imported)
from xdyna.pipelines.dynamictrl import DynamiCtrlOutput, DynamiCtrlPipeline, DynamiCtrlStep
from xdyna.pipelines.xdyna import XDynaOutput, XDynaPipeline, XDynaStep

__all__ = ["DynamiCtrlOutput", "DynamiCtrlPipeline", "DynamiCtrlStep", "XDynaOutput", "XDynaPipeline", "XDynaStep"]
