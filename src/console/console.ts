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

/** `GET /console` and `GET /console/state`; access has been checked by the caller. */
export function createConsole(state: () => ConsoleState): Record<string, () => Response | Promise<Response>> {
  return {
    "/console": async () => {
      const { PAGE } = await import("./page.ts");
      return new Response(PAGE, { headers: PAGE_HEADERS });
    },
    "/console/state": () => Response.json(state(), { headers: { "Cache-Control": "no-store" } }),
  };
}
