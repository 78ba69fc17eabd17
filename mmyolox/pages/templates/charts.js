// Draws the charts one after the other, each as soon as it has a width (one in a fold has none).
(() => {
  'use strict';
  const config = JSON.parse(document.getElementById('chart-config').textContent);
  let queue = Promise.resolve();

  // The legend has as many columns as there is room for beside the names on the vertical axis.
  function fitted(width) {
    const columns = Math.min(4, Math.max(1, Math.floor(width / 150)));
    const names = columns < 4 ? 100 : config.axis.labelLimit;
    const room = Math.min(config.legend.labelLimit, (width - names - 20) / columns - 35);
    return {
      ...config,
      axis: { ...config.axis, labelLimit: names },
      legend: { ...config.legend, columns, labelLimit: room },
    };
  }

  async function draw(canvas) {
    const spec = JSON.parse(document.getElementById(`${canvas.id}-spec`).textContent);
    try {
      await vegaEmbed(canvas, spec, {
        mode: 'vega-lite',
        renderer: 'svg',
        actions: false,
        ast: true, // Expressions are interpreted: the page's policy forbids to make functions of texts.
        config: fitted(canvas.clientWidth),
        defaultStyle: false,
        bind: document.getElementById(`${canvas.id}-menu`),
        tooltip: { theme: 'page', disableDefaultStyle: true },
      });
      canvas.dataset.drawn = 'yes';
    } catch (error) {
      canvas.textContent = 'This chart cannot be drawn; its numbers are below.';
      console.error(error);
    }
  }

  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (!target.clientWidth) continue;
      watcher.unobserve(target);
      queue = queue.then(() => draw(target));
    }
  });
  for (const canvas of document.querySelectorAll('.canvas')) watcher.observe(canvas);
})();
