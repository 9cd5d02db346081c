/** Bytes the VMs have allocated for strings and tables so far, roughly; it only grows. */
export const allocation = { bytes: 0 };
