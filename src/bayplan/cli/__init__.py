"""One file a verb; the only place that renders. A verb imports what is heavy inside its function."""

import gc
import os

# Starting makes some hundred thousand objects that stay: to look for garbage among them takes a fifth of the start.
# `console.run` begins to look.
gc.disable()

# Pydantic looks through every installed distribution for plugins, and there are none for what we do.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
