// The navigation is wider than a phone: the current page is to be seen in it.

document.querySelector(".bar nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
