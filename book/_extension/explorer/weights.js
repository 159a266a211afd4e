// The explorer's data: base64 of gzip of a safetensors file, opened without a request, which file:// forbids.
window.CrystalNet ??= {};
(() => {
  const READERS = {
    F32: (buffer) => new Float32Array(buffer),
    F16: (buffer) => Float32Array.from(new Uint16Array(buffer), float16),
    I8: (buffer) => Float32Array.from(new Int8Array(buffer)),
  };

  function float16(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
  }

  async function gunzip(base64) {
    const text = atob(base64), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  }

  // {tensors: {name: {data: Float32Array, shape}}, metadata: {name: value}}; a matrix in bytes that has
  // '<name>.scale' is multiplied by it row by row, as model/rounding.py says.
  async function opened(base64) {
    const buffer = await gunzip(base64);
    const length = Number(new DataView(buffer).getBigUint64(0, true)), start = 8 + length;
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const metadata = {}, tensors = {};
    for (const [name, text] of Object.entries(header.__metadata__)) {
      metadata[name] = name === "sha256" ? text : JSON.parse(text);  // Python has checked the sum
    }
    delete header.__metadata__;
    for (const [name, {dtype, shape, data_offsets: [from, to]}] of Object.entries(header)) {
      tensors[name] = {data: READERS[dtype](buffer.slice(start + from, start + to)), shape};
    }
    for (const [name, scale] of Object.entries(tensors)) {
      if (!name.endsWith(".scale")) continue;
      const {data, shape: [rows, columns]} = tensors[name.slice(0, -".scale".length)];
      for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) data[r * columns + c] *= scale.data[r];
      delete tensors[name];
    }
    return {tensors, metadata};
  }

  CrystalNet.opened = opened;
})();
