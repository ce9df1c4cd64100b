"""PUBG's telemetry events, as far as they are used, in the publisher's own spelling (`dBNOMaker`, `finishDamageInfo`).

A field of another type than here makes the file mistyped; a missing one is the publisher's way to say "none".
"""

from datetime import datetime

import msgspec


class Telemetry(msgspec.Struct, rename="camel"):
    """The base of what is read: camelCase, as the publisher writes."""


class Common(Telemetry):
    """`is_game`: 0 before the match, 0.1 in the plane, 1 and more in the match."""

    is_game: float = 0.0
    match_id: str | None = None


class Character(Telemetry):
    """A player. The environment is null, an empty object or an empty name."""

    name: str | None = None


class DamageInfo(Telemetry):
    """How one player hurt another. `distance` in centimetres; -1 is none."""

    damage_reason: str | None = None
    damage_causer_name: str | None = None
    distance: float | None = None

    def says(self) -> bool:
        """Whether it says anything: a V2 kill may carry an empty one."""
        return bool(self.damage_causer_name or self.damage_reason)


class MatchDefinition(Telemetry):
    """`LogMatchDefinition`."""

    match_id: str = msgspec.field(name="MatchId", default="")


class Happening(DamageInfo, kw_only=True):
    """What the events of a match have in common."""

    at: datetime = msgspec.field(name="_D")
    common: Common = msgspec.field(default_factory=Common)


class Attack(Happening, kw_only=True):
    """What has an attacker."""

    attacker: Character | None = None


class TakeDamage(Attack, kw_only=True):
    """`LogPlayerTakeDamage`."""

    damage: float = 0.0


class MakeGroggy(Attack, kw_only=True):
    """`LogPlayerMakeGroggy`: a knock-down."""


class PlayerKill(Happening, kw_only=True):
    """`LogPlayerKill`, and what it shares with its successor."""

    killer: Character | None = None
    victim: Character | None = None
    is_suicide: bool = False


class PlayerKillV2(PlayerKill, kw_only=True):
    """`LogPlayerKillV2`: who knocked down (`dBNOMaker`, not used), finished and killed are three people."""

    finisher: Character | None = None
    killer_damage_info: DamageInfo | None = None
    finish_damage_info: DamageInfo | None = None


TYPES: dict[str, type[MatchDefinition | Attack | PlayerKill]] = {
    "LogMatchDefinition": MatchDefinition,
    "LogPlayerTakeDamage": TakeDamage,
    "LogPlayerMakeGroggy": MakeGroggy,
    "LogPlayerKill": PlayerKill,
    "LogPlayerKillV2": PlayerKillV2,
}
