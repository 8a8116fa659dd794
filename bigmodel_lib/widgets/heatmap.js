// One heatmap of the explorers: values on hover, or by the arrow keys once it has the focus.
// Values arrive as float32 bytes, row by row; NaN means "may not look".

const SIZE = 420; // pixels, the longer side
const MARGIN = 8;

function colour(share) {
  // White to blue, in equal steps of lightness.
  const mix = (from, to) => Math.round(from + (to - from) * share);
  return `rgb(${mix(255, 8)}, ${mix(255, 48)}, ${mix(255, 107)})`;
}

function render({ model, el }) {
  const canvas = document.createElement("canvas");
  const text = document.createElement("div");
  canvas.tabIndex = 0;
  canvas.className = "bigmodel-heatmap";
  canvas.setAttribute("role", "img");
  text.className = "bigmodel-heatmap-text";
  text.setAttribute("aria-live", "polite");
  el.append(canvas, text);

  let cell = null; // [row, column] that is looked at

  const shape = () => [model.get("rows").length, model.get("columns").length];
  const values = () => {
    const bytes = model.get("values");
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  };

  function draw() {
    const [rows, columns] = shape();
    const side = Math.floor((SIZE - MARGIN) / Math.max(rows, columns, 1));
    const data = values();
    canvas.width = columns * side;
    canvas.height = rows * side;
    const pen = canvas.getContext("2d");
    if (data.length !== rows * columns) return; // the other half of the change is on its way
    for (let i = 0; i < data.length; i++) {
      pen.fillStyle = Number.isNaN(data[i]) ? "#dddddd" : colour(data[i]);
      pen.fillRect((i % columns) * side, Math.floor(i / columns) * side, side, side);
    }
    if (cell) {
      pen.strokeStyle = "#d55e00";
      pen.lineWidth = 2;
      pen.strokeRect(cell[1] * side + 1, cell[0] * side + 1, side - 2, side - 2);
    }
    say(data);
  }

  function say(data) {
    const [rows, columns] = shape();
    canvas.setAttribute("aria-label", model.get("title"));
    if (!cell) {
      text.textContent = model.get("hint");
      return;
    }
    const value = data[cell[0] * columns + cell[1]];
    const shown = Number.isNaN(value) ? model.get("masked") : value.toFixed(4);
    const [row, column] = [model.get("rows")[cell[0]], model.get("columns")[cell[1]]];
    text.textContent = `${row} → ${column}: ${shown}`;
  }

  function look(row, column) {
    const [rows, columns] = shape();
    cell = [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)];
    draw();
  }

  canvas.addEventListener("mousemove", (event) => {
    const box = canvas.getBoundingClientRect();
    const [rows, columns] = shape();
    look(
      Math.floor(((event.clientY - box.top) / box.height) * rows),
      Math.floor(((event.clientX - box.left) / box.width) * columns),
    );
  });
  canvas.addEventListener("mouseleave", () => {
    cell = null;
    draw();
  });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    const [row, column] = cell ?? [0, 0];
    if (cell) look(row + move[0], column + move[1]);
    else look(0, 0);
  });

  const change = () => {
    const [rows, columns] = shape();
    if (cell && (cell[0] >= rows || cell[1] >= columns)) cell = null;
    draw();
  };
  model.on("change:values change:rows change:columns change:title", change);
  draw();
}

export default { render };
