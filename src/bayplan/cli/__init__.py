"""One file a verb; the only place that renders. A verb imports what is heavy inside its function."""
