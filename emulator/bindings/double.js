// Stands in for a binding of a JavaScript worker that a test has replaced: what is called, is called in Python. Arguments
// and results are what JSON can say, and bytes.

const BYTES = "$emulator.bytes";
const NOT_ASKED_FOR = new Set(["then", "toJSON", "constructor"]);

function written(_key, value) {
  if (!(value instanceof ArrayBuffer) && !ArrayBuffer.isView(value)) return value;
  const bytes = ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
  return { [BYTES]: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) };
}

function read(_key, value) {
  if (typeof value?.[BYTES] !== "string") return value;
  return Uint8Array.from(atob(value[BYTES]), (character) => character.charCodeAt(0));
}

function standIn(fetcher, path) {
  return new Proxy(() => {}, {
    get: (_target, name) =>
      typeof name === "symbol" || NOT_ASKED_FOR.has(name) ? undefined : standIn(fetcher, [...path, name]),
    async apply(_target, _self, values) {
      const body = JSON.stringify({ path, values }, written);
      const response = await fetcher.fetch("http://double/call", { method: "POST", body });
      const { error, value } = JSON.parse(await response.text(), read);
      if (error !== undefined) throw Object.assign(new Error(error.message), { name: error.name });
      return value;
    },
  });
}

export default ({ fetcher }) => standIn(fetcher, []);
