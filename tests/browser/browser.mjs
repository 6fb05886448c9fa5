// A real browser, and pages that a test fails with if anything on them goes wrong unseen.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

export function launch() {
  return chromium.launch({ executablePath: process.env.SPANLIGHT_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
}

/**
 * Runs `use` with a page of its own. Console errors, uncaught exceptions, failed requests, answers of 400 and more and
 * requests to any other address fail the test; `expected` names those that the test is about.
 */
export async function withPage(browser, server, use, { expected, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const problems = [];
  const note = (problem) => {
    if (!expected?.test(problem)) problems.push(problem);
  };
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') note(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => note(`exception: ${error.message}`));
    page.on('dialog', (dialog) => {
      note(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on('requestfailed', (request) => {
      // A request that the next page made superfluous is no failure.
      if (request.failure()?.errorText !== 'net::ERR_ABORTED') note(`request: ${request.url()} ${request.failure()?.errorText}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 400) note(`answer: ${response.status()} ${response.url()}`);
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(`${server.page}/`) && !request.url().startsWith('data:')) note(`elsewhere: ${request.url()}`);
    });
    await use(page);
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
  }
}

/** Whether the page can be scrolled sideways; then what makes it so wide. */
export function overflow(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const scrolls = (element) => element && (getComputedStyle(element).overflowX !== 'visible' || scrolls(element.parentElement));
    return [...document.querySelectorAll('body *')]
      .filter((element) => element.getBoundingClientRect().right > width + 1 && !scrolls(element.parentElement))
      .slice(0, 5)
      .map((element) => `${element.tagName}.${element.getAttribute('class')}`);
  });
}
