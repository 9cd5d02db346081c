import type { Route } from "../api/http.ts";
import { isThisMachine } from "../this-machine.ts";
import type { Page } from "./bundle.ts";
import type { ConsoleState, NodeState } from "./state.ts";

/** Nothing runs but the page's own script; that may connect to any engine, because the try-it panel does. */
function headers({ scriptHash, styleHash }: Page): Record<string, string> {
  return {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": `default-src 'none'; script-src ${scriptHash}; style-src ${styleHash}; connect-src 'self' ws: wss:; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
  };
}

/** `GET /console`, the page, and `GET /console/state`, what it polls; both for users with the role `read`. */
export function consoleRoutes(state: () => NodeState): Route[] {
  return [
    {
      path: "/console",
      method: "GET",
      role: "read",
      async handle() {
        const { PAGE } = await import("./page.ts");
        return new Response(PAGE.html, { headers: headers(PAGE) });
      },
    },
    {
      path: "/console/state",
      method: "GET",
      role: "read",
      handle: () => Response.json(withWhereabouts(state()), { headers: { "Cache-Control": "no-store" } }),
    },
  ];
}

function withWhereabouts(state: NodeState): ConsoleState {
  return { ...state, members: state.members.map((member) => ({ ...member, here: isThisMachine(member.host) })) };
}
