// What `env` holds under the name of a binding that is not emulated yet. It can be looked for, passed on, awaited and
// printed; whatever else is done with it throws an error that names it.

const CONVERSIONS = new Set([Symbol.toPrimitive, Symbol.iterator, Symbol.asyncIterator]);
const ASKED_OF_EVERYTHING = new Set(["constructor", "then", "toJSON"]);

export default function standIn({ what }) {
  const refuse = () => {
    throw new Error(`${what} is not emulated yet`);
  };
  return new Proxy(
    {},
    {
      get(_target, name) {
        const isUse = typeof name === "symbol" ? CONVERSIONS.has(name) : !ASKED_OF_EVERYTHING.has(name);
        return isUse ? refuse() : undefined;
      },
      has: refuse,
      set: refuse,
      deleteProperty: refuse,
      defineProperty: refuse,
    },
  );
}
