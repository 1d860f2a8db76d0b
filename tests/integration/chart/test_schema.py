"""Wrong values are refused before anything happens, with a sentence that says which and why."""

from __future__ import annotations

import pytest

from hack.devcluster.install import NAMESPACE
from hack.helm import Helm, HelmError
from support.charts import CHART, REGISTRY, RELEASE, render

WRONG = {
    "operator.replica=3": "at '/operator': additional properties 'replica' not allowed",
    "operators.replicas=3": "additional properties 'operators' not allowed",
    "operator.replicas=two": "at '/operator/replicas': got string, want integer",
    "operator.replicas=0": "at '/operator/replicas': minimum: got 0, want 1",
    "operator.settings.stategy=Stack": "at '/operator/settings': additional properties 'stategy' not allowed",
    "operator.settings.strategy=Pack": "at '/operator/settings/strategy': value must be one of 'Spread', 'Stack'",
    "operator.resources.limit.memory=1Gi": "at '/operator/resources': additional properties 'limit' not allowed",
    "operator.resources.limits.memory=1GB": "at '/operator/resources/limits/memory': '1GB' does not match pattern",
    "agent.libvirt.group=libvirt": "at '/agent/libvirt/group': got string, want null or integer",
    "agent.libvirt.socketDir=run/libvirt": "at '/agent/libvirt/socketDir': 'run/libvirt' does not match pattern '^/",
    "agent.settings.domainType=xen": "at '/agent/settings/domainType': value must be one of 'kvm', 'qemu'",
    "agent.maxUnavailable=many": "at '/agent/maxUnavailable': 'many' does not match pattern",
    "agent.tolerations[0].effekt=NoExecute": "at '/agent/tolerations/0': additional properties 'effekt' not allowed",
    "reservation.enable=true": "at '/reservation': additional properties 'enable' not allowed",
    "console.publicUrl=console.example": "at '/console/publicUrl': 'console.example' does not match pattern '^(https?:",
    "console.settings.ticketSeconds=0": "at '/console/settings/ticketSeconds': minimum: got 0, want 1",
    "console.ingress.enabled=true": "at '/console/ingress/host': minLength: got 0, want 1",
    "console.httpRoute.enabled=true": "at '/console/httpRoute/parentRefs': minItems: got 0, want 1",
    "console.nodePort.enabled=true": "at '/console/tlsSecretName': minLength: got 0, want 1",
    "console.nodePort.port=99999": "at '/console/nodePort/port': maximum: got 99,999, want 65,535",
    "image.pullPolicy=always": "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
    "image.registry=my.example/operator:0.1.0": "at '/image/registry': 'my.example/operator:0.1.0' does not match",
    "image.tag=1": "at '/image/tag': got number, want string",
    "logLevel=loud": "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'",
    "networkPolicy.enabled=yes": "at '/networkPolicy/enabled': got string, want boolean",
    "monitoring.podMonitor=true": "at '/monitoring': additional properties 'podMonitor' not allowed",
    "flavors.small.vcpus=1": "at '/flavors/small': missing property 'memory'",
    "flavors.Small.vcpus=1": "invalid propertyName 'Small'",
}


@pytest.mark.parametrize(("value", "message"), WRONG.items(), ids=WRONG)
def test_a_wrong_value_is_refused_by_its_name(helm: Helm, value: str, message: str) -> None:
    with pytest.raises(HelmError) as refusal:
        render(helm, "--set", value)

    assert message in str(refusal.value)


def test_without_a_registry_it_is_said_where_images_come_from(helm: Helm) -> None:
    with pytest.raises(HelmError, match=r"image\.registry must be given: .* push them to your registry and say --set"):
        helm("template", "hypernova", str(CHART), f"--namespace={NAMESPACE}")


def test_kubernetes_before_1_32_is_refused(helm: Helm) -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1\.32\.0-0 which is incompatible with .* v1\.31\.9"):
        helm("template", *RELEASE, "--kube-version", "1.31.9")


def test_pods_that_cannot_be_resized_are_refused_with_what_to_do_instead(helm: Helm) -> None:
    with pytest.raises(HelmError, match=r"reservation\.enabled needs Kubernetes 1\.33 .* v1\.32\.9: taint the nodes"):
        render(helm, "--set=reservation.enabled=true", version="1.32.9")
    assert "hypernova-reservation" in render(helm, "--set=reservation.enabled=true", version="1.33.0")


def test_the_chart_has_nothing_that_helm_lint_minds(helm: Helm) -> None:
    report = helm("lint", str(CHART), "--strict", f"--namespace={NAMESPACE}", f"--set=image.registry={REGISTRY}")

    assert "1 chart(s) linted, 0 chart(s) failed" in report
    assert "[WARNING]" not in report
