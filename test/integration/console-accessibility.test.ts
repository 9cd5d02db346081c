import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { CONSOLE_SCRIPT, ConsoleBrowser, frames, passed, replay } from "../support/console-browser.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);

let browser: ConsoleBrowser;
beforeAll(async () => {
  browser = await ConsoleBrowser.start();
});
afterAll(() => browser.stop());
afterEach(() => browser.closePages());

let node: Connmix;

beforeAll(async () => {
  const config = { ...freePorts({ entry: "script.lua" }), cluster: { advertise: "127.0.0.1" } };
  node = await Connmix.start("single", config, { files: { "script.lua": CONSOLE_SCRIPT } });
});
afterAll(() => node.stop());

test("the keyboard alone is enough", async () => {
  const page = await browser.open(node.apiPort);
  const focused = () => page.evaluate(() => document.activeElement?.id ?? "");
  const tabTo = async (id: string) => {
    for (let i = 0; i < 40 && (await focused()) !== id; i++) await page.keyboard.press("Tab");
    expect(await focused()).toBe(id);
    // The page draws itself anew every second: the focus must stay.
    expect(await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle)).not.toBe(
      "none",
    );
  };
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  expect(await focused()).toBe("try");
  await tabTo("walk");
  await page.keyboard.press("Enter");
  await passed(page);
  await tabTo("client-message");
  await page.keyboard.type(" by keyboard");
  await page.keyboard.press("Enter");
  expect((await frames(page, "client", "out")).at(-1)).toContain("by keyboard");
  await tabTo("method");
  await page.keyboard.type("mesh.publish");
  await tabTo("frame");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await eventually(async () => expect((await frames(page, "backend", "in")).at(-1)).toContain('"total":0'));
});

test.each([360, 700, 1400])("at a width of %d nothing is cut off", async (width) => {
  const page = await browser.open(node.apiPort, { viewport: { width, height: 800 } });
  await replay(page);
  const overflow = await page.evaluate(() => {
    const right = document.documentElement.clientWidth;
    const scrolls = (element: Element) => element.closest(".scroll") !== null;
    return [...document.body.querySelectorAll("*")]
      .filter((element) => !scrolls(element) && element.getBoundingClientRect().right > right + 0.5)
      .map((element) => element.outerHTML.slice(0, 80));
  });
  expect(overflow).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
});

test.each(["light", "dark"] as const)("text can be read in the %s colours", async (colorScheme) => {
  const page = await browser.open(node.apiPort, { colorScheme });
  await replay(page);
  /** The lowest contrast (WCAG 2.2, 1.4.3) of text with its background. */
  const worst = await page.evaluate(() => {
    const rgb = (colour: string) =>
      /[\d.]+/g.exec(colour) ? (colour.match(/[\d.]+/g) ?? []).map(Number) : [0, 0, 0, 0];
    const luminance = (colour: number[]) => {
      const [r = 0, g = 0, b = 0] = colour.slice(0, 3).map((channel) => {
        const c = channel / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = (element: Element | null): number[] => {
      if (element === null) return [255, 255, 255];
      const colour = rgb(getComputedStyle(element).backgroundColor);
      return colour[3] === 0 ? background(element.parentElement) : colour;
    };
    let lowest = { contrast: 21, text: "" };
    for (const element of document.body.querySelectorAll("*:not(button:disabled)")) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim());
      if (!own || element.matches("script, style")) continue;
      const [text, behind] = [luminance(rgb(getComputedStyle(element).color)), luminance(background(element))];
      const contrast = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
      if (contrast < lowest.contrast) lowest = { contrast, text: element.textContent ?? "" };
    }
    return lowest;
  });
  expect(worst.contrast, worst.text).toBeGreaterThan(4.5);
});
