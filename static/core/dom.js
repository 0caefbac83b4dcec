// An element with its properties and children. Never HTML from a text: what a notice says can't become anything else.
export const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
