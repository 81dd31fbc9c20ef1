<?php
require __DIR__ . '/connect.php';

$steps = [
    1 => 'CREATE TABLE visits (id BIGINT AUTO_INCREMENT PRIMARY KEY, replica VARCHAR(80) NOT NULL, at DATETIME NOT NULL)',
    2 => 'CREATE TABLE days (day DATE PRIMARY KEY, visits BIGINT NOT NULL)',
];

$db = database();
$db->exec('CREATE TABLE IF NOT EXISTS migrations (number INT PRIMARY KEY, at DATETIME NOT NULL)');
$done = $db->query('SELECT number FROM migrations')->fetchAll(PDO::FETCH_COLUMN);
foreach ($steps as $number => $sql) {
    if (in_array($number, array_map('intval', $done), true)) {
        continue;
    }
    $db->exec($sql);
    $db->prepare('INSERT INTO migrations VALUES (?, UTC_TIMESTAMP())')->execute([$number]);
    echo "migration $number is done\n";
}
echo "the database is as this version wants it\n";
