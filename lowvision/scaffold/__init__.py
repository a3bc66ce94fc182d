"""What `lowvision new-plugin` does: renders a distribution with one small working component from templates/.

templates/every is in each distribution, a folder of a kind's name in those of that kind. A file's name is without the
ending `.template`; `package` in a path is the package's name; `$name` and the like in texts are filled in.
"""

from __future__ import annotations

from lowvision.scaffold.rendering import KINDS, Rendered, render

__all__ = ["KINDS", "Rendered", "render"]
