<?php
$replica = getenv('BAYPLAN_REPLICA') ?: 'on its own';
$host = getenv('BAYPLAN_HOST') ?: gethostname();
$client = $_SERVER['REMOTE_ADDR'];
$greeting = getenv('GREETING') ?: 'Hello';
$hue = crc32($replica) % 360;

header('Cache-Control: no-store');
header("X-Replica: $replica");
header("X-Host: $host");

if (str_contains($_SERVER['HTTP_ACCEPT'] ?? '', 'application/json')) {
    header('Content-Type: application/json');
    echo json_encode(['replica' => $replica, 'host' => $host, 'client' => $client]), "\n";
    exit;
}
if (str_contains($_SERVER['HTTP_ACCEPT'] ?? '', 'text/plain')) {
    header('Content-Type: text/plain');
    echo "$replica on $host\n";
    exit;
}
$e = fn(string $text): string => htmlspecialchars($text);
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title><?= $e($replica) ?> on <?= $e($host) ?></title>
<style>
  :root { --hue: <?= $hue ?>; color-scheme: light dark; }
  * { box-sizing: border-box; }
  body {
    margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 2rem;
    font: 1.05rem/1.5 system-ui, sans-serif; color: hsl(var(--hue) 30% 14%);
    background: linear-gradient(160deg, hsl(var(--hue) 75% 93%), hsl(calc(var(--hue) + 40) 70% 82%));
  }
  main {
    width: min(30rem, 100%); padding: 2.5rem; border-radius: 1.25rem; background: hsl(0 0% 100% / .8);
    box-shadow: 0 1.5rem 4rem hsl(var(--hue) 45% 30% / .22); border-top: .5rem solid hsl(var(--hue) 65% 48%);
  }
  h1 { margin: 0 0 1.5rem; font-size: 1.7rem; letter-spacing: -.02em; text-wrap: balance; }
  dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: .6rem 1.5rem; align-items: baseline; }
  dt { opacity: .65; }
  dd { margin: 0; font-family: ui-monospace, monospace; font-weight: 600; overflow-wrap: anywhere; }
  dd.replica { font-size: 1.5rem; color: hsl(var(--hue) 65% 36%); }
  p { margin: 1.75rem 0 0; font-size: .9rem; opacity: .7; }
  @media (prefers-color-scheme: dark) {
    body { color: hsl(var(--hue) 25% 90%);
           background: linear-gradient(160deg, hsl(var(--hue) 35% 13%), hsl(calc(var(--hue) + 40) 40% 20%)); }
    main { background: hsl(var(--hue) 22% 10% / .8); }
    dd.replica { color: hsl(var(--hue) 75% 70%); }
  }
</style>
<main>
  <h1><?= $e($greeting) ?></h1>
  <dl>
    <dt>replica</dt><dd class="replica"><?= $e($replica) ?></dd>
    <dt>host</dt><dd><?= $e($host) ?></dd>
    <dt>you are</dt><dd><?= $e($client) ?></dd>
    <dt>served at</dt><dd><?= gmdate('H:i:s') ?> UTC</dd>
  </dl>
  <p>Reload: another replica answers. The colour is the replica's.</p>
</main>
</html>
