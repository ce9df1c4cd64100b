"""Views of every kind as a client asks for them: the players', and some that only tests declare."""

from urllib.parse import quote

from app.web.parameters import parameters_of
from tables.views import EntityView, Parameter, View
from tests.web.declared import DECLARED

VIEWS: tuple[View, ...] = DECLARED.views
ENTITY_VIEWS = tuple(view for view in VIEWS if isinstance(view, EntityView))
CHOICES: tuple[tuple[View, Parameter], ...] = tuple(
    (view, parameter) for view in VIEWS for parameter in parameters_of(view) if parameter.allowed
)
FRESHNESS = {"as_of", "age_seconds", "partition", "offset"}


def path_of(view: View, entity: str = "Ann") -> str:
    """The path of a view, of an entity where it is about one."""
    return view.path.replace("{entity}", quote(entity, safe=""))


def name_of(view: View) -> str:
    """What pytest calls a view."""
    return view.path
