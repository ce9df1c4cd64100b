"""What happens to a partition while its records come: batches of random size, commits, crashes."""

import random

from agents.driver import Driver


def live_on(driver: Driver, chance: random.Random) -> None:
    """After a record: perhaps fold some, perhaps commit, perhaps crash."""
    if chance.random() < 0.02:
        driver.fold(chance.randrange(200))
        driver.wait(chance.random())
    if chance.random() < 0.005:
        driver.commit()
    if chance.random() < 0.001:
        driver.crash()
