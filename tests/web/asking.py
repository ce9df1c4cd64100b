"""The declared views as a client asks for them."""

from urllib.parse import quote

from app.web.views import parameters_of
from tables import DOMAINS
from tables.views import EntityView, Parameter, View

VIEWS: tuple[View, ...] = tuple(view for domain in DOMAINS for view in domain.views)
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
