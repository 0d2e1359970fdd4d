"""Which channel reads which language: its notices are said anew in the words of that catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from healthmon.alerting.incidents.phrases import Phrases
from healthmon.alerting.incidents.text import Texts
from healthmon.config import SiteConfig
from healthmon.impact.hours import Calendar
from healthmon.model.incident import Incident, Notice


def phrases_of(site: SiteConfig, language: str) -> Phrases:
    """The words of one language over this estate."""
    return Phrases(Texts(site.catalogues[language], site.estate, Calendar(site.estate)))


def phraser(site: SiteConfig) -> Callable[[Notice, Incident], Notice] | None:
    """None while every channel reads the language of the incidents."""
    known: dict[str, Phrases] = {}
    for channel, language in site.wards.channel_languages.items():
        if language != site.wards.language:
            known[channel] = phrases_of(site, language)
    if not known:
        return None
    replies = {channel: site.catalogues[site.wards.channel_languages[channel]]["it_reply"] for channel in known}

    def phrase(notice: Notice, incident: Incident) -> Notice:
        words = known.get(notice.channel)
        if words is None:
            return notice
        body = {**notice.body, "reply": replies[notice.channel].replace("{code}", incident.id[-4:])}
        subject, text = words.subject(incident, notice.why), words.text(incident, notice.why)
        return replace(notice, subject=subject, text=text, body=body)

    return phrase
