"""Hydra looks for YAML in the conf/ of every ampsim plugin, after ampsim's own."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from ampsim.config.plugins import found


class PluginFolders(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for plugin in found().plugins:
            if plugin.conf.is_dir():
                search_path.append(f"ampsim plugin {plugin.name}", f"file://{plugin.conf}")
