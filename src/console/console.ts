import type { Route } from "../api/http.ts";
import type { ConsoleState } from "./state.ts";

/** The page works with nothing from elsewhere; it may connect to any engine, because the try-it panel does. */
const PAGE_HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Cache-Control": "no-cache",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' ws: wss: http: https:; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/** `GET /console`, the page, and `GET /console/state`, what it polls; both for users with the role `read`. */
export function consoleRoutes(state: () => ConsoleState): Route[] {
  return [
    {
      path: "/console",
      method: "GET",
      role: "read",
      async handle() {
        const { PAGE } = await import("./page.ts");
        return new Response(PAGE, { headers: PAGE_HEADERS });
      },
    },
    {
      path: "/console/state",
      method: "GET",
      role: "read",
      handle: () => Response.json(state(), { headers: { "Cache-Control": "no-store" } }),
    },
  ];
}
