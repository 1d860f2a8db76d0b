from typing import Any

from hack.nodes.dns import hosts


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def test_a_service_has_its_full_name_and_a_short_one() -> None:
    assert hosts([service("web", clusterIP="10.96.0.7")]) == "10.96.0.7 web.shop.svc.cluster.local web.shop.svc\n"


def test_a_service_without_an_address_has_no_name() -> None:
    assert hosts([service("headless", clusterIP="None"), service("elsewhere", externalName="example.org")]) == ""
