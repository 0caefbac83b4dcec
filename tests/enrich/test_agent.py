"""What is kept of a user agent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_gateway.enrich.agent import describe

from .spellings import Address, addresses, embedded, left_of

SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0"

AGENTS = [
    # user agent, and what is said: browser|system|device|bot
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36", "Chrome 124|Windows 10|desktop|"),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/124.0", "Edge 124|Windows 10|desktop|"),
    (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {SAFARI} Safari/605.1.15", "Safari 17|Mac OS X 10.15|desktop|"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0", "Firefox 125|Linux |desktop|"),
    (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", "Chrome 124|Chrome OS |desktop|"),
    (f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) {SAFARI} Mobile/15E148 Safari/604.1",
     "Mobile Safari 17|iOS 17.1|mobile|"),
    (f"Mozilla/5.0 (iPad; CPU OS 17_1 like Mac OS X) {SAFARI} Mobile/15E148 Safari/604.1",
     "Mobile Safari 17|iOS 17.1|tablet|"),
    (f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36", "Chrome Mobile 124|Android 10|mobile|"),
    (f"Mozilla/5.0 (Linux; Android 14; SM-X710) {CHROME} Safari/537.36", "Chrome 124|Android 14|tablet|"),
    (f"Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) {CHROME} Mobile Safari/537.36",
     "Chrome Mobile 124|Android 10|mobile|"),
    ("Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/538.1 (KHTML, like Gecko) Version/6.0 TV Safari/538.1",
     "Safari 6|Tizen 6.0|tv|"),
    (f"Mozilla/5.0 (PlayStation; PlayStation 5/2.26) {SAFARI} Safari/605.1.15", "Safari 17||console|"),
    ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", "IE 6|Windows XP|desktop|"),
    ("", "|||bot"),
    ("curl/8.5.0", "curl 8||other|bot"),
    ("python-requests/2.31.0", "Python Requests 2||other|bot"),
    ("Go-http-client/2.0", "Go-http-client 2||other|bot"),
    ("okhttp/4.12.0", "okhttp 4||other|bot"),
    (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME.replace('Chrome', 'HeadlessChrome')} Safari/537.36",
     "HeadlessChrome 124|Linux |desktop|bot"),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot 2||other|bot"),
    ("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", "GPTBot 1||other|bot"),
    ("Mozilla/5.0 (compatible; BeetleBot; )", "||other|bot"),
    ("alice@example.com/1.0", "||other|"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), AGENTS)
def test_agents(text: str, said: str) -> None:
    agent = describe(text)
    browser = f"{agent.browser} {agent.browser_version}" if agent.browser else ""
    system = f"{agent.os} {agent.os_version}" if agent.os else ""
    assert f"{browser}|{system}|{agent.device}|{'bot' if agent.bot else ''}" == said


@given(addresses, st.data())
def test_no_spelling_of_an_address_is_kept(address: Address, data: st.DataObject) -> None:
    text = data.draw(embedded(address))
    for agent in (
        text,
        f"{text}/1.0",
        f"{text}bot/{text}",
        f"Mozilla/5.0 ({text}) Firefox/{text}",
        f"App-{text}/{text} CFNetwork/1 Darwin/{text}",
        f"Mozilla/5.0 (Linux; Android {text}; {text}) Chrome/{text} Mobile",
    ):
        assert not left_of(address, *map(str, describe(agent)))


@given(st.text(), st.sampled_from(["", "Mozilla/5.0 (Windows NT 10.0) ", "Mozilla/5.0 (Linux; Android "]))
def test_never_raises_and_never_quotes(text: str, before: str) -> None:
    agent = describe(before + text)
    assert all(len(word) <= 40 for word in agent[:5])
    assert describe("x" * 512 + text) == describe("x" * 512)
    assert describe("alice-laptop/1.0 CFNetwork/1410 Darwin/22.0").browser == ""
