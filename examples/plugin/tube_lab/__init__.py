"""Parts for ampsim: a model, a loss, a metric, a data source, an optimizer and an export format."""
