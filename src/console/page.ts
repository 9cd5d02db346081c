import { bundlePage } from "./bundle.ts" with { type: "macro" };
import type { Page } from "./bundle.ts";

/** The whole console in one HTML document. Imported only when it is asked for: a checkout builds it then. */
export const PAGE: Page = bundlePage();
