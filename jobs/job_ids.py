"""Ids of jobs, and what a job is called where its id cannot stand.

A person's job ids have letters, digits, `-` and `_`. A job that a schedule made is
`SCHEDULE:job-N` (`BatchJobSchedule` of azure-batch), and a colon is no part of a file's name
everywhere. So the folder of such a job, here and in storage, is `SCHEDULE.job-N`: no job of a
person can have it, so that no two jobs share one.

What a person may write in an id's place (`last`, `all`, a number) is here too, because no id
may be one of these: the word would mean that job, and no longer what it is for.
"""

from __future__ import annotations

import re

from jobs.errors import InputError

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
SCHEDULED = re.compile(r"(?P<schedule>[A-Za-z0-9_-]{1,64})[:.]job-(?P<number>[1-9][0-9]{0,9})")
"""A job of a schedule, by its id or by its folder."""
LAST = "last"
ALL = "all"
NUMBERS = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9})(?::(?P<step>\d{1,9}))?)?")
"""Jobs by number, counted from the last: `1`, `1-3`, `1-9:2`."""


def is_job_id(text: str) -> bool:
    """Whether it may be a job's id, a person's or a schedule's, or the folder of such a job."""
    return JOB_ID.fullmatch(text) is not None or SCHEDULED.fullmatch(text) is not None


def written_id(text: str) -> str:
    """The id of a job or a schedule that is there, as a person wrote it.

    Raises:
        InputError: It is none.
    """
    if JOB_ID.fullmatch(text) is None:
        raise InputError(f"{text!r} is no id: letters, digits, `-` and `_`, 64 at most")
    return text


def chosen_id(text: str) -> str:
    """An id that a person chose for a new job or schedule.

    Raises:
        InputError: It is none, or means other jobs wherever a job is named.
    """
    written_id(text)
    if text in {LAST, ALL} or NUMBERS.fullmatch(text):
        what = "all jobs" if text == ALL else "what was submitted last" if text == LAST else (
            "jobs counted from the last one"
        )  # fmt: skip
        raise InputError(
            f"{text!r} cannot be an id, because it means {what}: choose another (--job-id ID), "
            f"such as job-{text}"
        )
    return text


def folder_of(job_id: str) -> str:
    """The name of a job's directory, here and in storage."""
    return job_id.replace(":", ".")


def schedule_of(job_id: str) -> str | None:
    """The schedule that a job's id says made it, or None."""
    match = SCHEDULED.fullmatch(job_id)
    return None if match is None else match["schedule"]


def scheduled_id(text: str) -> str | None:
    """The id of a schedule's job, from its id or its folder; None for anything else."""
    match = SCHEDULED.fullmatch(text)
    return None if match is None else f"{match['schedule']}:job-{match['number']}"


def again_id(job_id: str, attempt: int) -> str:
    """The id of the job in which tasks of a job run again: a person's id, without a colon."""
    return f"{re.sub('[:.]', '-', job_id)}-r{attempt}"
