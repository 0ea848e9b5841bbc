// What only the file needs: its images are parts of sheets inside the page.

const map = JSON.parse(document.getElementById("map-data").textContent);
const sheets = map.sheets.map((source) => Object.assign(new Image(), { src: source }));
const perSheet = map.columns * map.columns;

function partOf(point) {
  if (point.tile === undefined) return null;
  const image = sheets[Math.floor(point.tile / perSheet)], at = point.tile % perSheet;
  const [width, height] = point.size;
  if (!image.complete || !image.naturalWidth) return null;
  return { image, x: (at % map.columns) * map.side, y: Math.floor(at / map.columns) * map.side, width, height };
}

showMap(document.querySelector(".map"), map, {
  imageOf: partOf,
  onImages: (draw) => { for (const sheet of sheets) sheet.addEventListener("load", draw); },
  detailsOf: (point) => {
    const part = partOf(point);
    if (!part) return aboutItem(point, map, null);
    const shown = document.createElement("canvas");
    shown.width = part.width;
    shown.height = part.height;
    shown.style.width = `${part.width * Math.max(1, Math.min(3, 160 / Math.max(part.width, part.height)))}px`;
    shown.setAttribute("role", "img");
    shown.setAttribute("aria-label", point.id);
    shown.getContext("2d").drawImage(part.image, part.x, part.y, part.width, part.height, 0, 0, part.width, part.height);
    return aboutItem(point, map, shown);
  },
});
