"""The gateway: Envoy's configuration, from one template (gateway.yaml) and the contracts' own options.

    socket = folder / "admin.sock"
    config = write_gateway_config(folder, state, 8443, socket, {"scheduler": 8445, …}, load_settings())
    subprocess.Popen(envoy_command(config))

Outside the one-machine system: `python -m deploy.envoy --help`. docs/gateway.md describes the gateway.
"""

from deploy.envoy.command import envoy_command
from deploy.envoy.generate import write_gateway_config
from deploy.envoy.settings import GatewaySettings, load_settings

__all__ = ["GatewaySettings", "envoy_command", "load_settings", "write_gateway_config"]
