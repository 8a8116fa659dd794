// The drawing pad of DrawDigit. A stroke is a list of points [x, y], 0 to 1 from left and top.

const SIDE = 280; // CSS pixels
const CELLS = 28; // steps of the keyboard's cursor along a side
const NEAR = 0.006; // a point closer than this to the last one adds nothing
const PAUSE = 40; // milliseconds between two messages while the pen moves
const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

const rounded = (share) => Math.round(Math.min(Math.max(share, 0), 1) * 1e4) / 1e4;

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_match, name) => values[name]);
}

// The image below the strokes as a small canvas, or null.
function backdropOf(model) {
  const bytes = model.get("backdrop");
  if (bytes.byteLength !== CELLS * CELLS) return null;
  const ink = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const small = document.createElement("canvas");
  small.width = small.height = CELLS;
  const pen = small.getContext("2d");
  const pixels = pen.createImageData(CELLS, CELLS);
  ink.forEach((value, i) => pixels.data.set([value, value, value, 255], 4 * i));
  pen.putImageData(pixels, 0, 0);
  return small;
}

function drawStroke(pen, stroke, side) {
  pen.beginPath();
  pen.moveTo(stroke[0][0] * side, stroke[0][1] * side);
  for (const [x, y] of stroke) pen.lineTo(x * side, y * side); // to itself first: a dot shows
  pen.stroke();
}

function drawCursor(pen, [column, row], down, side) {
  const cell = side / CELLS;
  const [x, y] = [(column + 0.5) * cell, (row + 0.5) * cell];
  pen.strokeStyle = down ? "#d55e00" : "#56b4e9";
  pen.lineWidth = cell / 3;
  pen.strokeRect(x - cell, y - cell, 2 * cell, 2 * cell);
}

function render({ model, el }) {
  const words = model.get("words");
  const canvas = document.createElement("canvas");
  const text = document.createElement("div");
  canvas.width = canvas.height = Math.round(SIDE * (window.devicePixelRatio || 1));
  canvas.className = "bigmodel-pad";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application"); // arrow keys belong to it, not to a screen reader
  canvas.setAttribute("aria-label", words.label);
  canvas.setAttribute("data-lm-suppress-shortcuts", "true"); // nor to JupyterLab
  text.className = "bigmodel-pad-text";
  text.setAttribute("aria-live", "polite");
  el.append(canvas, text);

  let strokes = copy(model.get("value"));
  let stroke = null; // the one that is being drawn, the last of strokes
  let pointer = null; // its pointer's id, or null while the keyboard draws
  let cursor = null; // [column, row] once the keyboard was used
  let timer = null;
  let sent = 0; // when

  function copy(value) {
    return Array.isArray(value) ? value.map((one) => [...one]) : [];
  }

  function draw() {
    const pen = canvas.getContext("2d");
    const side = canvas.width;
    pen.fillStyle = "#000000";
    pen.fillRect(0, 0, side, side);
    const below = backdropOf(model);
    if (below) pen.drawImage(below, 0, 0, side, side);
    pen.strokeStyle = "#ffffff";
    pen.lineWidth = model.get("pen") * side;
    pen.lineCap = pen.lineJoin = "round";
    for (const one of strokes) drawStroke(pen, one, side);
    if (cursor) drawCursor(pen, cursor, stroke !== null, side);
    say();
  }

  function say() {
    if (!cursor) {
      text.textContent = words.hint;
      return;
    }
    const place = fill(words.place, { x: cursor[0] + 1, y: cursor[1] + 1 });
    const state = stroke ? words.down : words.up;
    text.textContent = [place, state, fill(words.strokes, { count: strokes.length })].join(" · ");
  }

  function send() {
    clearTimeout(timer);
    timer = null;
    sent = performance.now();
    model.set("value", copy(strokes));
    model.save_changes();
  }

  // While the pen moves, the kernel hears of it every PAUSE milliseconds; draw at once.
  function changed(now = false) {
    draw();
    const wait = sent + PAUSE - performance.now();
    if (now || wait <= 0) send();
    else timer ??= setTimeout(send, wait);
  }

  function begin(point) {
    stroke = [point];
    strokes.push(stroke);
    changed();
  }

  function extend(point) {
    const [x, y] = stroke[stroke.length - 1];
    if (Math.hypot(point[0] - x, point[1] - y) >= NEAR) stroke.push(point);
  }

  function lift() {
    if (!stroke) return;
    stroke = pointer = null;
    changed(true);
  }

  function wipe(left) {
    stroke = pointer = null;
    strokes = left;
    changed(true);
  }

  // The kernel took the strokes away; one that is being drawn is newer, and stays.
  function wipeOlder() {
    strokes = stroke ? [stroke] : [];
    if (stroke) changed();
    else draw();
  }

  function pointOf(event) {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return [rounded(x / box.width), rounded(y / box.height)];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    lift(); // the keyboard's pen
    cursor = null;
    pointer = event.pointerId;
    begin(pointOf(event));
    try {
      canvas.setPointerCapture(pointer); // the stroke goes on outside of the pad
    } catch (error) {
      if (error.name !== "NotFoundError") throw error; // a pointer that is already gone
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || event.pointerId !== pointer) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) extend(pointOf(one));
    changed();
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, (event) => {
      if (event.pointerId === pointer) lift();
    });
  }

  function step([dx, dy], size) {
    const inside = (cell) => Math.min(Math.max(cell, 0), CELLS - 1);
    cursor = [inside(cursor[0] + dx * size), inside(cursor[1] + dy * size)];
    if (stroke) extend(cursor.map((cell) => rounded((cell + 0.5) / CELLS)));
    if (stroke) changed();
    else draw();
  }

  function press(event) {
    if (event.key === " " && stroke) lift();
    else if (event.key === " ") begin(cursor.map((cell) => rounded((cell + 0.5) / CELLS)));
    else if (event.key === "Backspace") wipe(strokes.slice(0, -1));
    else if (event.key === "Delete") wipe([]);
    else if (event.key in MOVES) step(MOVES[event.key], event.shiftKey ? 4 : 1);
    else return false;
    return true;
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || pointer !== null) return;
    const first = cursor === null;
    cursor ??= [CELLS / 2, CELLS / 4];
    if (press(event)) {
      event.preventDefault(); // no scrolling
      event.stopPropagation();
    } else if (first) {
      cursor = null;
    }
  });
  canvas.addEventListener("blur", () => {
    if (pointer === null) lift();
    cursor = null;
    draw();
  });

  model.on("change:wipes", wipeOlder);
  model.on("change:value", () => {
    // Another view of the same pad; or our own words, which come back late while we draw.
    if (stroke || timer !== null) return;
    strokes = copy(model.get("value"));
    draw();
  });
  model.on("change:pen change:backdrop", draw);
  draw();
}

export default { render };
