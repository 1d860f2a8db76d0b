"""Certificates between our own processes: a key made in memory, certified by the cluster, renewed under open sessions.

identity = Identity(client, signer=Signer.AGENT_SERVING, common_name=AGENT_ACCOUNT, dns_names=["node-a"],
                    addresses=["192.0.2.7"], usages=SERVER_USAGES, namespace="hypernova-system")
group.create_task(identity.run())
await identity.ready.wait()
await asyncio.start_server(serve, port=0, ssl=identity.server_context())
"""

from hypernova_kube.certificates.contexts import peer_names
from hypernova_kube.certificates.identity import Identity
from hypernova_kube.certificates.request import CLIENT_USAGES, SERVER_USAGES

__all__ = ["CLIENT_USAGES", "SERVER_USAGES", "Identity", "peer_names"]
