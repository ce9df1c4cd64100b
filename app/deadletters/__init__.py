"""Records that could not be folded, and the way back for them: `tidemark deadletters`.

letter.py       a dead letter, taken apart
wanted.py       which ones are meant: ids and filters
standing.py     what has become of them since: folded after all, dead again, or neither
mending.py      another key, another value
trial.py        whether this release would fold the mended record
resending.py    back into the source topic, each by the name of its original
foretelling.py  how a resent one would end, by the rows that there are
waiting.py      how the resent ones have ended
shown.py        letters as people and scripts read them
summary.py      letters counted
report.py       what is said of those that are resent
commands.py     list, show, resend
"""
