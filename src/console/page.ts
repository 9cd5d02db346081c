import { bundlePage } from "./bundle.ts" with { type: "macro" };

/** The whole console as one HTML document. Imported only when it is asked for: a checkout builds it then. */
export const PAGE: string = bundlePage();
