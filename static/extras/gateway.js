// The first script, or in its place nothing: then these extras have nobody to tell.
export const gateway = window.cg ?? { event() {} };
