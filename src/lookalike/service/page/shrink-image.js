// Large images are made smaller before they are sent: the service looks at far fewer pixels than a camera takes.

const LARGE = 600e3; // bytes; what is smaller is sent as it is
const MOST_SIDE = 1600; // pixels; a crop of a seventh still has all that the encoder looks at
const QUALITY = 0.9;
const WITH_ALPHA = ["image/png", "image/webp", "image/gif", "image/avif"];

/** Return a smaller image of the same content, or `file` itself where it is small, or the browser cannot read it. */
export async function shrink(file) {
  if (file.size <= LARGE) return file;
  let image;
  try {
    image = await createImageBitmap(file); // upright
  } catch { // TIFF, HEIC, or not an image: the service reads it, or says what is wrong
    return file;
  }
  const scale = Math.min(1, MOST_SIDE / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  const type = WITH_ALPHA.includes(file.type) ? "image/webp" : "image/jpeg";
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, type, QUALITY); });
  return blob && blob.size < file.size ? new File([blob], file.name, { type: blob.type }) : file;
}
