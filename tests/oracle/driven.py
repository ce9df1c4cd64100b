"""What happens to a partition while its records come: batches of random size, commits, crashes."""

import random

from agents.driver import Driver


def live_on(driver: Driver, chance: random.Random, *, commit: float = 0.005, crash: float = 0.001) -> None:
    """After a record: perhaps fold some, perhaps commit, perhaps crash; the last two with these probabilities."""
    if chance.random() < 0.02:
        driver.fold(chance.randrange(200))
        driver.wait(chance.random())
    if chance.random() < commit:
        driver.commit()
    if chance.random() < crash:
        driver.crash()
