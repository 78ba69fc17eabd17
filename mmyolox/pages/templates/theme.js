// Before anything is drawn: the theme that was chosen last.
(() => {
  document.documentElement.classList.add('js');
  try {
    const theme = localStorage.getItem('mmyolox-theme');
    if (theme) document.documentElement.dataset.theme = theme;
  } catch { /* A browser may keep nothing for files. */ }
})();
