<?php
require '/app/bin/connect.php';

$replica = getenv('BAYPLAN_REPLICA') ?: 'on its own';
$db = database();
$db->prepare('INSERT INTO visits (replica, at) VALUES (?, UTC_TIMESTAMP())')->execute([$replica]);
$visits = (int) $db->query('SELECT COUNT(*) FROM visits')->fetchColumn();
$cache = cache();
$cache->add('seen', 0);
$seen = $cache->increment('seen');

header('Content-Type: application/json');
header('Cache-Control: no-store');
echo json_encode(['replica' => $replica, 'host' => getenv('BAYPLAN_HOST'), 'visits' => $visits, 'seen' => $seen]), "\n";
