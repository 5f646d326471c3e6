// Applies the selected theme before the first paint. A choice equal to the system's is not stored.
{
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const chosen = localStorage.getItem("scout-theme");
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  window.toggleTheme = () => {
    const next = current() === "dark" ? "light" : "dark";
    if (next === (system.matches ? "dark" : "light")) {
      delete root.dataset.theme;
      localStorage.removeItem("scout-theme");
    } else {
      root.dataset.theme = next;
      localStorage.setItem("scout-theme", next);
    }
    dispatchEvent(new Event("theme"));
  };
  system.addEventListener("change", () => dispatchEvent(new Event("theme")));
}
