"""Implement `lowvision new-plugin`: render a distribution with one small working component from templates/.

templates/every belongs to each distribution, the folder of a kind to distributions of that kind. Rendering removes the
ending `.template`, replaces `package` in paths by the package's name, and fills in `$name` etc. in texts.
"""

from __future__ import annotations

from lowvision.scaffold.rendering import KINDS, Rendered, render

__all__ = ["KINDS", "Rendered", "render"]
