"""A job whose stack a person names anew: another name of the same estate, or another file.

The result tree notes the stack that a job was submitted to, by name or by file. The name may be
another one by now and the file may have moved; the Batch account is what the job is in. Only a
stack of that account is taken: ids repeat, and a job of the same id in another estate is somebody
else's, not to be canceled or cleaned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jobs.errors import StackError
from jobs.results import Manifest, ResultTree
from jobs.session import Target
from jobs.stack import Stack


def tree_at(tree: ResultTree, target: Target | None) -> ResultTree:
    """A job's result tree, its stack replaced by the one that is named; as it is where none is.

    Raises:
        StackError: What is named cannot be read, or is not where the job is.
    """
    if target is None or not target.is_given:
        return tree
    manifest = tree.read_manifest()
    named = target.load()
    account = manifest.account or Target.of(manifest).load().batch_account_id
    require_account("job", manifest.job_id, account, named, target)
    return replace(tree, stack=target.stack, outputs_file=target.outputs_noted)


def require_account(what: str, name: str, account: str, named: Stack, target: Target) -> None:
    """Refuses a stack that is of another Batch account than what is there.

    Args:
        what: `job` or `schedule`.
        name: Its id.
        account: Resource id of the Batch account that it is in; empty where that was not noted.
        named: The stack.
        target: As it was named.

    Raises:
        StackError: It is of another one.
    """
    if account and named.batch_account_id.lower() != account.lower():
        raise StackError(
            f"{what} {name} is in Batch account {_last(account)}, and "
            f"{target.option()} is of account {_last(named.batch_account_id)}: leave "
            f"{target.option().partition(' ')[0]} out, or name one of the {what}'s account "
            f"({account})"
        )


def trees_on(trees: Iterable[ResultTree], target: Target) -> list[ResultTree]:
    """The result trees of jobs that are on a stack, whatever it was called; all if none is named.

    Raises:
        InputError: What is named, or one of the trees, cannot be read.
    """
    if not target.is_given:
        return list(trees)
    account = target.load().batch_account_id.lower()

    def is_there(manifest: Manifest) -> bool:
        if not manifest.account:
            return Target.of(manifest) == target
        return manifest.account.lower() == account

    return [tree for tree in trees if is_there(tree.read_manifest())]


def _last(resource_id: str) -> str:
    return resource_id.rpartition("/")[2]
