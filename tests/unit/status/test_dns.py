"""The names: what a published one leads to, and what a DNS server of the cluster answers."""

from __future__ import annotations

import asyncio
import struct

import pytest

from kinky.kube.port_forward import StreamError
from kinky.status import dns_message
from kinky.status.judgement import Word
from kinky.status.observation import State
from kinky.status.probes import dns
from tests.unit.status.healthy import Healthy
from tests.unit.status.seen import judge_all


def build_answer(question: bytes, *addresses: str) -> bytes:
    """Answer as a DNS server does, with a pointer to the name."""
    number = struct.unpack_from("!H", question)[0]
    head = struct.pack("!HHHHHH", number, 0x8180, 1, len(addresses), 0, 0)
    records = b"".join(
        struct.pack("!HHHIH", 0xC00C, 1, 1, 30, 4) + bytes(int(part) for part in address.split("."))
        for address in addresses
    )
    return head + question[12:] + records


def test_an_answer_is_parsed() -> None:
    question = dns_message.build_question("kubernetes.default.svc.cluster.local", number=7)
    assert dns_message.parse_addresses(build_answer(question, "10.95.0.1", "192.0.2.1"), number=7) == [
        "10.95.0.1",
        "192.0.2.1",
    ]
    assert dns_message.parse_addresses(build_answer(question), number=7) == []


@pytest.mark.parametrize("cut", [0, 5, 12, 40, 60])
def test_half_an_answer_is_refused(cut: int) -> None:
    question = dns_message.build_question("kubernetes.default.svc.cluster.local", number=7)
    with pytest.raises(ValueError, match="cut off"):
        dns_message.parse_addresses(build_answer(question, "10.95.0.1")[:cut], number=7)


def test_an_answer_to_another_question_is_refused() -> None:
    question = dns_message.build_question("a.b", number=7)
    for message in (build_answer(question, "10.95.0.1"), question):
        with pytest.raises(ValueError, match="not an answer"):
            dns_message.parse_addresses(message, number=8 if message is not question else 7)


def test_t11_a_name_that_leads_to_the_old_address_while_the_address_is_fine(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = healthy.server.rpartition(":")[2]
    ingress = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    healthy.host.add("/api/v1/namespaces/ns/services", "dev-endpoint", status=ingress)
    monkeypatch.setattr("kinky.status.probes.dns.resolve", lambda _host: [("192.0.2.6", "IPv4")])
    monkeypatch.setattr("kinky.status.probes.api.resolve", lambda _host: [("127.0.0.1", "IPv4")])
    verdicts = judge_all(healthy.target(server=f"https://api.example.test:{port}"), "dns", "api")
    assert verdicts["api"].word is Word.OK
    assert verdicts["dns"].word is Word.CRITICAL
    assert "api.example.test leads to 192.0.2.6, declared is 192.0.2.7" in verdicts["dns"].why


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (["10.0.0.1"], "wrong-answer"),
        ([], "wrong-answer"),
        (ValueError("it is cut off"), "wrong-body"),
        (StreamError("pod coredns-1: refused"), "no-way"),
        (TimeoutError(), "silent"),
    ],
)
def test_a_dns_server_that_answers_wrongly_is_critical_although_its_pod_is_ready(
    healthy: Healthy, monkeypatch: pytest.MonkeyPatch, answer: object, reason: str
) -> None:
    async def ask(*_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(dns, "_ask", ask)
    verdict = judge_all(healthy.target(), "dns")["dns"]
    assert (verdict.word, verdict.outside.reason, verdict.disagree) == (Word.CRITICAL, reason, True)


def test_one_of_two_dns_servers_is_enough_and_missed(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    first = healthy.inner.objects["/api/v1/namespaces/kube-system/pods/coredns-1"]
    fields = {key: first[key] for key in ("spec", "status")}
    labels = {"labels": first["metadata"]["labels"]}
    healthy.inner.add("/api/v1/namespaces/kube-system/pods", "coredns-2", metadata=labels, **fields)

    async def ask(_target: object, pod: str, _name: str) -> list[str]:
        return ["10.95.0.1"] if pod == "coredns-1" else []

    monkeypatch.setattr(dns, "_ask", ask)
    verdict = judge_all(healthy.target(), "dns")["dns"]
    assert (verdict.word, verdict.outside.state) == (Word.DEGRADED, State.WARNING)


def test_a_message_may_arrive_in_parts() -> None:
    class Stream:
        def __init__(self, parts: list[bytes]) -> None:
            self.parts = parts

        async def receive(self) -> bytes:
            return self.parts.pop(0) if self.parts else b""

    parts = [b"\x00", b"\x03a", b"bc"]
    assert asyncio.run(dns._receive(Stream(parts))) == b"abc"  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="without an answer"):
        asyncio.run(dns._receive(Stream([b"\x00\x03a"])))  # type: ignore[arg-type]
